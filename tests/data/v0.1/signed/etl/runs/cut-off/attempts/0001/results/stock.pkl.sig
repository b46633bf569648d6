{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "sQYkQ0ahfDAZ+LmrLg2+2/889UtpM71V7R9Wb6AcHMJLpvhE+SWFMk/qeOmvnsMxHPEVWJ9PseA43UXpZLvMDA=="
}