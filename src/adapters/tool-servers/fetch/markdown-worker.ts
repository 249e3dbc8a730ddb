// A thread of its own: pages come from strangers, and one can be made so that turning it into Markdown takes for ever.
import { parentPort, workerData } from 'node:worker_threads'
import Turndown from 'turndown'

const service = new Turndown({ headingStyle: 'atx', codeBlockStyle: 'fenced', bulletListMarker: '-' })
service.remove(['head', 'title', 'script', 'style', 'noscript', 'template', 'iframe', 'nav', 'footer', 'aside', 'form', 'button', 'canvas'])
service.remove((node) => node.nodeName.toLowerCase() === 'svg')
parentPort?.postMessage(service.turndown(String(workerData)).trim())
