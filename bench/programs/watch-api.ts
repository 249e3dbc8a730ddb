import { createCaller } from '../lib/http.ts'
import { answer, takeJob } from '../lib/job.ts'

// Reads one path again and again until the file `until` is there, and answers how long each read took in ms.

import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

const job = await takeJob<{ url: string; token: string; path: string; until: string; everyMs: number }>()
const caller = createCaller(job.url, job.token)
const times: number[] = []
while (!existsSync(job.until)) {
  const from = performance.now()
  await caller.call('GET', job.path)
  times.push(performance.now() - from)
  await pause(job.everyMs)
}
caller.close()
answer(times)
