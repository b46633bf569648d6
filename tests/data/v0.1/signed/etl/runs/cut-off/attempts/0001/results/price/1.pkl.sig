{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "AGpvULhzgJ7z1l727veS8fmv46Op9ZMLVPR5XRW+t+xzLE9vBnprOu31j1/nGjk9355EZnqa5L6DZ5E/O2cGCQ=="
}