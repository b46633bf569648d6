{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "nltkZVFu9dPiSbC7hWV1CSsmB4wVgSt5+cA7TVXX6utCP9t9A5AnNICMXF1gMzIzfKfyP7ZaV0ZCkvEw27vsBw=="
}