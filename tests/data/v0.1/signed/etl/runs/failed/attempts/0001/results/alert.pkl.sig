{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "f2eMVG8oXdHM9uusrTR06HpWiYPet8RyK1mDTucT8lYlKH+cZSfyxVw0nQEADzxbpai3JlxNcWPK9x6FsXblBA=="
}