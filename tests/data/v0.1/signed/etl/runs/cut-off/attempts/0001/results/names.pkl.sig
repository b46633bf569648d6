{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "q1iNL+NmVPDuWRSrOHuppjvB+nVQwhuJ3OQ2GbhHQGRrWwpzDpDvj21dyM9YDmHCswLaUeRA/JJUeLFyFHqdCA=="
}