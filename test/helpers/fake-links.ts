import type { FromRunner } from '../../src/contract/link.ts'
import type { LinkPeer, Links } from '../../src/core/core.ts'

export interface FakeLinks extends Links {
  /** run token → run. */
  readonly runs: Map<string, { readonly agentId: string; readonly runId: string }>
  readonly peers: LinkPeer[]
  readonly received: FromRunner[]
  /** The peer of each sign of life. */
  readonly heard: LinkPeer[]
  /** Peers that are gone. */
  readonly detached: LinkPeer[]
  /** Runs before a frame counts as taken; may throw. */
  take: (frame: FromRunner) => Promise<void>
}

export function createFakeLinks(): FakeLinks {
  const links: FakeLinks = {
    runs: new Map(),
    peers: [],
    received: [],
    heard: [],
    detached: [],
    take: async () => {},
    admit: async (token) => links.runs.get(token),
    attach(peer) {
      links.peers.push(peer)
      return {
        async receive(frame) {
          await links.take(frame)
          links.received.push(frame)
        },
        heard: () => void links.heard.push(peer),
        detach: () => void links.detached.push(peer),
      }
    },
  }
  return links
}
