"""Google Cloud Storage, and its credentials as google-auth finds them."""
