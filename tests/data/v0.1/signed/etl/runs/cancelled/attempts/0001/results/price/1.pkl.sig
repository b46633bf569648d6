{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "ss3cOUQssBXLisQJtSKP5aDlDil8Xpa0M9Oa8ENvbwJs4eDfxHIZXa8ySEdZwNMH4TEXwvi5xqjbg764yWpaAA=="
}