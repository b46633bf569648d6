{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "a+EUIcpJLOoKZ3eiR36UTx+7RvSClzVDQPSkrDULTiifkVeOkjj8ZLgV23oqlCTgO30/c1lJpzAjnxsx341wBg=="
}