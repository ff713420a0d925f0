"""AWS: function URL, SQS, Secrets Manager, DynamoDB."""
