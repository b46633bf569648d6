{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "15Jc4g+F2jUSYkGc18IupCYlkISSS/GizUmoaXnK3oJmA2bOkQOJYxfaLJzX73u2u1IaP582LfpVEMybL83ZCA=="
}