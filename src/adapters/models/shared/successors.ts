import { RegentError } from '../../../kernel/errors.ts'
import type { Model } from '../../../ports/model.ts'
import type { ModelReference } from './aliases.ts'

/**
 * An alias lives longer than the models behind it: once the provider says that it does not know one (404), the next answers, and
 * `notice` tells. A model asked for by its own name has no successor.
 */
export function withSuccessors({ model, successors }: ModelReference, create: (model: string) => Model): Model {
  const first = create(model)
  if (successors.length === 0) return first
  let left = [...successors]
  let current = first
  return {
    get id() {
      return current.id
    },
    get contextTokens() {
      return current.contextTokens
    },
    get notice() {
      return current === first ? null : `${current.id} answers: its provider does not offer ${model} any more.`
    },
    async answer(request) {
      for (;;) {
        const asked = current
        try {
          return await asked.answer(request)
        } catch (error) {
          if (!isUnknownModel(error)) throw error
          // Another answer that ran at the same time may have moved on already.
          if (current === asked) {
            const next = left[0]
            if (next === undefined) throw error
            left = left.slice(1)
            current = create(next)
          }
        }
      }
    },
  }
}

const isUnknownModel = (error: unknown): boolean =>
  error instanceof RegentError && error.code === 'UPSTREAM' && error.details.status === 404
