{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "nUvXrN2C1jzj0pbS0tDasR1X0Gxi2Je1+u2g1cLyC3Z1re3zBvOJlSEGRYGNAziqWYQwTVSsF61IW8hXL9aTDQ=="
}