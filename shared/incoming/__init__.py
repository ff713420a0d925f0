"""From a webhook's delivery to an event and a mention in it."""
