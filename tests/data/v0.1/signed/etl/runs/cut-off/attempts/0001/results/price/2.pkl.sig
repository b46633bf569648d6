{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "L3fhhnoeMyd8OW+ktkSIOTrF7FrySEdaGX/AzpGPM0MrU3QtnmYEtvVQuid6LL1pIRN2NIn/iRpjW/hiO/UNCA=="
}