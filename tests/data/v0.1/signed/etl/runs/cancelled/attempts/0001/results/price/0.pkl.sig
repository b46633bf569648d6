{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "0ztPOqlaw4CaC/kwsl4VxFa7FGYghJGohK9tnfhZH9JDFVVpZSMZTPCmp8CJxwcZjp3EAbXRA6qNQ2pAM5ewDw=="
}