{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "EJ/Z4CCfRcN+x/BC6HGT8kD1TBtd45CyNreFgPjVMevk5QNET4fkolmlLwJmAsU5wRMVNHHTFOwPk17YO6+lAQ=="
}