{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "pHFEu4bSiXwJ632M1Cuxti0GKKuo1NOWKXfAQH12HYU4rS0nzjwYsQu1ByP6JiTGT8c18x0tM0ozEjjopeGZBA=="
}