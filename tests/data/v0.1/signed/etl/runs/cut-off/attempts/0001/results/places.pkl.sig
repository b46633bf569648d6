{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "7/1IktDVl5eHa92OJlq2vg6rE4iM0VI0MC3ejnmrOyGCZpq/cAtIfyGXw1aLk7z6c6og+pMKKOOct3TiVjdsAA=="
}