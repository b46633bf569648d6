{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "e+avp5Nh8J9gHvVjvxnl2kN7SvwxzKArChm6sxQcMAAPPMImfUbAbZL1QMpk2YK/xRddcRrgW6S3P2UxW0u0Cw=="
}