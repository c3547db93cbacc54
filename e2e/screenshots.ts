// Pictures for the README, and for anyone who wants to see every page: written when UNDERSTUDY_SCREENSHOTS names a folder.
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { Page } from '@playwright/test'

export const themes = ['dark', 'light'] as const
export type Theme = (typeof themes)[number]

const folder = process.env.UNDERSTUDY_SCREENSHOTS

export async function photograph(page: Page, name: string, wanted: readonly Theme[] = themes): Promise<void> {
  if (folder === undefined || folder === '') return
  await mkdir(path.dirname(path.join(folder, name)), { recursive: true })
  for (const theme of wanted) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
    await page.screenshot({ path: path.join(folder, `${name}-${theme}.png`), animations: 'disabled' })
  }
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: null })
}
