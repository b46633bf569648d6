{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "OJHqT4I000QEIk9LR+Vwe2sTXQ1CjRyptGCCQPX2vc/W5SrGlgAX0a7i3B+7++GRuySBa2jLgeh+Itq2ApchBw=="
}