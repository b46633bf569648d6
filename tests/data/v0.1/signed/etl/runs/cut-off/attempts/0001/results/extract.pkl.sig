{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "GbvhWiFvzv4mJy5c9wgePNJogozVMEuK3ngXRWVIt8tETNsxt367LNuGVXr/7nPjTPDYAHKHnBLgWxz1vxgGBg=="
}