"""Financial dimensions: display values divided into main account and dimensions, and put together again. Pure."""
