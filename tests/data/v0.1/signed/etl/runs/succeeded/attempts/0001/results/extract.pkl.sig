{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "4lPSI4cgqBBr23RuXZySswrsK6162WCTxcNho99CWEpSJj07sfbuJCs+0oLBWgu+CShlPWqj0tHXXwn/wOsWCQ=="
}