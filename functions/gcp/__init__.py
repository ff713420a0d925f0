"""Google Cloud: HTTP functions, Cloud Tasks, Secret Manager, Firestore."""
