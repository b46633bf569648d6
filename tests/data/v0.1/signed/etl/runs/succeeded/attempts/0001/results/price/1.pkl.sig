{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "64GS//tbgSVuN2rf/8J+HRegmPnfeImYHjXcdhr3BZTe87BnVcqT6G+WjOtc4Yb325JqGp4yMmWi2JJoPB84DQ=="
}