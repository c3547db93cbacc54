// axe-core, run inside the page: nothing may be left that it knows to be a barrier.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { expect, type Page } from '@playwright/test'
import type axe from 'axe-core'

const source = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const standards = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** Throws with every barrier and where it is. `contrastOnly`: for the second theme, which changes nothing but colours. */
export async function checkAccessibility(
  page: Page,
  where: string,
  { contrastOnly = false }: { readonly contrastOnly?: boolean } = {},
): Promise<void> {
  const loaded = await page.evaluate(() => 'axe' in window)
  // Past the page's security policy, which rightly takes no foreign script.
  if (!loaded) await page.evaluate(await readFile(source, 'utf8'))
  const violations = await page.evaluate(
    async (only) => {
      const { axe: engine } = window as unknown as { axe: typeof axe }
      const { violations: found } = await engine.run(document, { runOnly: only, resultTypes: ['violations'] })
      return found.map(
        ({ id, help, nodes }) =>
          `${id}: ${help}\n    ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 240)}\n      ${failureSummary ?? ''}`).join('\n    ')}`,
      )
    },
    contrastOnly
      ? { type: 'rule' as const, values: ['color-contrast'] }
      : { type: 'tag' as const, values: standards },
  )
  expect.soft(violations, where).toEqual([])
}
