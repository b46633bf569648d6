{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "AzuEBG3aWWL+UPNRmdbZKDiCbVcQpIQcTrQCd89Me2KIOsngPt1BhiTJc1q4sgIckrN42uhSJJyBy7g9NFkPDQ=="
}