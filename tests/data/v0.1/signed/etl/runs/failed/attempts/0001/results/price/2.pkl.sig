{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "jpQoHw4iShSwSSNFpa9/bRwejOYkd/AWU06tNl/MXJhJTZEHxBsxLQ2NlZdAFD+KZg6gnn116s0SSOnwQlJPBg=="
}