// Redis and PostgreSQL.
import { join } from 'node:path'
import { freshFolder } from './home.mjs'
import { account, postgresFolder, which } from './places.mjs'
import { port } from './ports.mjs'
import { finish, launch, ready } from './processes.mjs'

export const redis = {
  name: 'redis',
  packages: () => (which('redis-server') ? [] : ['redis-server']),
  async start(log) {
    const folder = freshFolder('redis')
    const number = await port(16_379)
    const args = ['--port', String(number), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
    const started = launch('redis', { command: which('redis-server'), args, log, cwd: folder })
    const urls = { url: `redis://127.0.0.1:${number}` }
    await ready(started, Object.values(urls), 15_000)
    return { urls, processes: [started] }
  },
}

export const postgres = {
  name: 'postgres',
  packages: () => (postgresFolder() ? [] : ['postgresql']),
  async start(log) {
    const user = account('postgres')
    const folder = freshFolder('postgres', user)
    const bin = postgresFolder()
    const number = await port(15_432)
    await finish('postgres', {
      command: join(bin, 'initdb'),
      args: ['-D', join(folder, 'data'), '-A', 'trust', '-U', 'regent', '--locale=C.UTF-8', '-N'],
      cwd: folder,
      user,
    })
    const settings = [`port=${number}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`, 'max_connections=200']
    const args = ['-D', join(folder, 'data'), ...settings.flatMap((setting) => ['-c', setting])]
    const started = launch('postgres', { command: join(bin, 'postgres'), args, log, cwd: folder, user })
    await ready(started, [`postgres://regent@127.0.0.1:${number}/postgres`], 30_000)
    const urls = { url: `postgres://regent@127.0.0.1:${number}/regent` }
    await finish('postgres', {
      command: join(bin, 'createdb'),
      args: ['-h', '127.0.0.1', '-p', String(number), '-U', 'regent', 'regent'],
      cwd: folder,
      user,
    })
    await ready(started, Object.values(urls), 5_000)
    return { urls, processes: [started], signal: 'SIGINT' }
  },
}
