// The tabs of a first visit.
export const EXAMPLES = [
  `# Live: each trade and ticker as soon as it is stored.
# Run with Ctrl-Enter or the button; the same stops it.
#
# Fewer:   filter: { instruments: ["BTC-USDT"] }
# Slower:  delivery: { mode: SAMPLE, intervalMs: 1000 }
# Resume:  after: "the last cursor you saw"
subscription LiveMessages {
  messages(filter: { types: [TRADE, TICKER] }) {
    ... on MessageBatch {
      publishedAt
      messages {
        exchange
        instrument
        type
        price
        quantity
        side
        receivedAt
      }
      cursor
    }
    # Said instead, when this client missed something
    ... on Gap {
      reason
      missed
      before
    }
  }
}
`,
  `# Stored: the newest trades, and the frames they came in.
# Next page:  after: "the endCursor of this one"
query LatestMessages {
  messages(filter: { types: [TRADE] }, first: 20) {
    edges {
      node {
        exchange
        instrument
        type
        price
        quantity
        side
        eventTime
        receivedAt
        connector {
          name
        }
        data
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`,
  `# Where messages come from, and how each source is.
query Connectors {
  connectors(first: 20) {
    edges {
      node {
        id
        name
        url
        venue
        state
        status {
          messageCount
          messageRate
          delayP50Ms
          lastMessageAt
          lastError
        }
      }
    }
  }
}
`,
  `# A source of your own; this one needs the internet.
# The result is the connector, or a typed error.
mutation AddConnector {
  createConnector(
    input: {
      name: "Binance BTC trades"
      url: "wss://stream.binance.com/ws/btcusdt@trade"
    }
  ) {
    ... on Connector {
      id
      name
      venue
      protocol
    }
    ... on Error {
      code
      message
    }
  }
}

# Then run it: put the id from above here.
mutation StartConnector {
  startConnector(input: { id: "..." }) {
    ... on Connector {
      name
      state
    }
    ... on Error {
      code
      message
    }
  }
}
`,
];
