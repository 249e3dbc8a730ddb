// A bare fastify server: what the framework costs before it does anything. Plain JavaScript, so that no compiler of TypeScript is
// in the memory that is measured.
import Fastify from 'fastify'

process.once('disconnect', () => process.exit())
const app = Fastify()
app.get('/hello', async () => ({ hello: 'world' }))
process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }))
