"""OKX's API v5 over the neutral exchange: REST and WebSocket, spot and linear swaps in one trading account."""
