"""calendar.live as its contract describes it: for now the webhooks that it sends."""
