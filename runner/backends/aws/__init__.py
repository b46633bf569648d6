"""S3, and AWS credentials as boto3 finds them."""
