// A product of its own for one spec, its owner signed in, and everything of it gone afterwards.
import type { Browser, BrowserContext, Page } from '@playwright/test'
import { becomeOwner, watchForErrors } from './console.ts'
import { dismantle, newHome, type Product, startProduct } from './product.ts'
import { type Api, apiOf } from './simulated-sites.ts'

type OpenConsole = {
  readonly home: string
  readonly product: Product
  readonly context: BrowserContext
  readonly page: Page
  /** What the browser complains of, from now on. */
  readonly errors: readonly string[]
  readonly api: Api
}

/** What fails on the way leaves nothing behind. */
export async function openConsole(browser: Browser): Promise<OpenConsole> {
  const home = await newHome()
  let product: Product | null = null
  try {
    product = await startProduct(home)
    const context = await browser.newContext()
    const page = await context.newPage()
    const errors = watchForErrors(page)
    await becomeOwner(page, product.setupLink ?? '')
    return { home, product, context, page, errors, api: apiOf(context, product.address) }
  } catch (error) {
    await dismantle(home, product)
    throw error
  }
}

/** `product` as it is by now: a spec may have killed the first one. Nothing is there where it was never opened. */
export async function closeConsole({
  home,
  product,
  context,
}: Partial<Pick<OpenConsole, 'home' | 'product' | 'context'>>): Promise<void> {
  await context?.close()
  if (home !== undefined) await dismantle(home, product ?? null)
}
