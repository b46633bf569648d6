{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "sQLf84E6NIGOHUaVHp6FiiuKRVyQNULuNhcotnArW1r0e0FfcMWQF53qiwu67G4ZxrCw1RxNAjM908NeAoFPCg=="
}