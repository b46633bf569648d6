{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "eFT36Dozzju4BiMh/2oTwV+XOaHw3uRPNzgv/MhK2z63yPNVXlXS8+p2s3Pq1cO+6D9zxKYN77HiuqH1uA2SDQ=="
}