import { runtimeConformance } from '../../../conformance/runtime.ts'
import { openRuntime, runtimeHome, specOf } from '../../../helpers/process-runtime.ts'

runtimeConformance('process', async () => {
  const home = runtimeHome()
  return {
    open: () => openRuntime(home),
    script: (text, args = [], over = {}) => specOf(['sh', '-c', text, 'agent', ...args], over),
  }
})
