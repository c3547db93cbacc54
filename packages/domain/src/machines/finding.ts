import type { Finding } from './machine.ts'

/** What forbids it. */
export const blocker = (code: string, message: string, remedy: string): Finding => ({
  level: 'blocker',
  code,
  message,
  remedy,
})

/** What limits or surprises. */
export const warning = (code: string, message: string, remedy: string): Finding => ({
  level: 'warning',
  code,
  message,
  remedy,
})
