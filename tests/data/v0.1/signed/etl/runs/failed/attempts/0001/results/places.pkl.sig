{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "f4Vw9vie3UQVNF+VPgAFhtMRrjcBABEj7b3RmZXTpVuftz6DG312pxtkqxlLnPWi4uHE5TkgjWVmX5Ur7NiPDw=="
}