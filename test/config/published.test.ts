import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')

it.each(['generate-config.mjs', 'generate-routes.mjs'])('[I2-CFG-02] [I2-OPS-01] what scripts/%s writes is that of today', (script) => {
  const { status, stderr } = spawnSync(process.execPath, [join('scripts', script), '--check'], { cwd: root, encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})
