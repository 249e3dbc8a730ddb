import { writeFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { PermissionAnswer, PermissionQuestion } from '../../src/contract/worker-link.ts'

export interface Asked extends PermissionQuestion {
  readonly authorization: string | undefined
}

/** What a question is answered with; a status alone, or nothing at all for as long as the server lives. */
export type PermissionReply = PermissionAnswer | number | 'silence'

/** Regent as an asker sees it, at an address that `link.json` of the run directory names. */
export class PermissionDoor {
  readonly asked: Asked[] = []
  readonly #runDir: string
  readonly #answer: (question: Asked, number: number) => PermissionReply
  readonly #token: string
  readonly #waiting: (() => void)[] = []
  #server: Server | null = null

  constructor(runDir: string, answer: (question: Asked, number: number) => PermissionReply, token = 'run-token') {
    this.#runDir = runDir
    this.#answer = answer
    this.#token = token
    onTestFinished(() => this.kill())
  }

  async open(): Promise<this> {
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const piece of request) body += piece
      const question = { ...(JSON.parse(body) as PermissionQuestion), authorization: request.headers.authorization }
      this.#reply(response, request.url === '/worker-link/permissions' ? this.#answer(question, this.asked.push(question)) : 404)
      for (const wake of this.#waiting.splice(0)) wake()
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/link`
    writeFileSync(join(this.#runDir, 'link.json'), JSON.stringify({ url, token: this.#token }))
    return this
  }

  /** Resolves when the next question has come. */
  async question(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** As a crash: connections are cut. */
  async kill(): Promise<void> {
    const server = this.#server
    this.#server = null
    server?.closeAllConnections()
    if (server) await new Promise((resolve) => server.close(resolve))
  }

  #reply(response: ServerResponse, reply: PermissionReply): void {
    if (reply === 'silence') return
    const status = typeof reply === 'number' ? reply : 200
    response.writeHead(status, { 'content-type': 'application/json' }).end(typeof reply === 'number' ? '{}' : JSON.stringify(reply))
  }
}

export const yes: PermissionReply = { state: 'answered', allow: true, message: null }
export const no = (message: string | null = null): PermissionReply => ({ state: 'answered', allow: false, message })
