// The tabs of a first visit.
export const EXAMPLES = [
  `# Ticks as they are stored. Press Ctrl-Enter.
subscription LiveMessages {
  messages(delivery: { mode: EVERY }) {
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
    ... on Gap {
      reason
      missed
      before
    }
  }
}
`,
  `# The newest stored messages.
query LatestMessages {
  messages(first: 20, order: NEWEST_FIRST) {
    edges {
      node {
        id
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
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`,
  `# Where the messages come from.
query Connectors {
  connectors(first: 20) {
    edges {
      node {
        id
        name
        url
        venue
        protocol
      }
    }
  }
}
`,
];
