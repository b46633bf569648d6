{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "mMKU+iJPKmd5GPR/dazf6JMzCVkJpi7IJ1ecaXCvk/681cW8VbVlV77ROmO1ffsqtTJLcJurnS2Z2I1ZCZwXDA=="
}