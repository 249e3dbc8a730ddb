import { createRequire } from 'node:module'
import { answer, takeJob } from '../lib/job.ts'

// Asks a pm2 daemon that runs to start what a file describes, by pm2's own library, and answers how long that took in ms.

interface Pm2 {
  connect(done: (error?: Error) => void): void
  start(file: string, done: (error?: Error) => void): void
}

const job = await takeJob<{ module: string; file: string }>()
const pm2 = createRequire(import.meta.url)(job.module) as Pm2
const call = (act: (done: (error?: Error) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => act((error) => (error ? reject(error) : resolve())))
await call((done) => pm2.connect(done))
const from = performance.now()
await call((done) => pm2.start(job.file, done))
answer(performance.now() - from)
