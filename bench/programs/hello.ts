import Fastify from 'fastify'
import { answer, takeJob } from '../lib/job.ts'

// A bare fastify server: what the framework costs before it does anything.

await takeJob<object>()
const app = Fastify()
app.get('/hello', async () => ({ hello: 'world' }))
answer(await app.listen({ host: '127.0.0.1', port: 0 }))
