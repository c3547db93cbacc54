// What an operator does in the console again and again. Everything is found by its role and name.
import { expect, type Locator, type Page } from '@playwright/test'

export const owner = { name: 'operator', password: 'correct horse battery' } as const

export async function becomeOwner(page: Page, setupLink: string): Promise<void> {
  await page.goto(setupLink)
  await field(page, 'Name').fill(owner.name)
  await field(page, 'Password').fill(owner.password)
  await field(page, 'Password again').fill(owner.password)
  await page.getByRole('button', { name: 'Make the owner and sign in' }).click()
  await expect(heading(page, 'Overview')).toBeVisible()
}

export async function signIn(
  page: Page,
  user: { readonly name: string; readonly password: string },
): Promise<void> {
  await field(page, 'Name').fill(user.name)
  await field(page, 'Password').fill(user.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

export async function signOut(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Your account' }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await expect(heading(page, 'Sign in')).toBeVisible()
}

export const field = (within: Page | Locator, name: string): Locator =>
  within.getByRole('textbox', { name, exact: true })
export const heading = (page: Page, name: string): Locator => page.getByRole('heading', { name, level: 1 })

export async function goTo(page: Page, place: string): Promise<void> {
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: place, exact: true }).click()
  await expect(heading(page, place)).toBeVisible()
}

export async function openMachine(page: Page, name: string): Promise<void> {
  await goTo(page, 'Machines')
  await page.getByRole('grid', { name: 'Machines' }).getByRole('link', { name, exact: true }).first().click()
  await expect(heading(page, name)).toBeVisible()
}

/** Chooses from a list that opens below its field. */
export async function choose(page: Page, field: string, option: string): Promise<void> {
  await page.getByRole('combobox', { name: field, exact: true }).click()
  await page.getByRole('option', { name: option, exact: true }).click()
}

/** Opens the dialog of an action of the machine that is shown. */
export async function ask(page: Page, action: string): Promise<Locator> {
  // Beside the title, or beside the running test or failover that it is about.
  await page.getByRole('main').getByRole('button', { name: action, exact: true }).first().click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toBeVisible()
  return dialog
}

/** From the message that a job has begun to its page, and back to the machine once it has succeeded. */
export async function followTheJob(
  page: Page,
  title: string,
  machine: string,
  seconds: number,
): Promise<void> {
  const message = page.getByRole('alert').filter({ hasText: `${title} of ${machine} has begun` })
  // At once, as the message goes after a while: on a slow computer a click that first waits for everything to stand still comes too late.
  await message.getByRole('link', { name: 'Follow the job' }).dispatchEvent('click')
  await jobSucceeds(page, seconds)
  await page.getByRole('region', { name: 'About this job' }).getByRole('link', { name: machine }).click()
  await expect(heading(page, machine)).toBeVisible()
}

/** The job whose page is shown ends well; fails at once when it ends otherwise or asks something. */
export async function jobSucceeds(page: Page, seconds: number): Promise<void> {
  await expect(page.getByRole('region', { name: 'Steps' })).toBeVisible()
  const ending = page.getByText(/^(Succeeded|Failed|Cancelled|Waiting for you)$/).first()
  await expect(ending).toBeVisible({ timeout: seconds * 1000 })
  expect(await ending.textContent(), await page.getByRole('main').innerText()).toBe('Succeeded')
}

/** Every message of the browser that a console without faults does not cause. */
export function watchForErrors(page: Page): string[] {
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(String(error.stack ?? error)))
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return
    // Whether somebody is signed in is asked before anybody is; the browser itself reports the answer.
    if (/status of 401/.test(message.text()) && message.location().url.endsWith('/api/v1/session')) return
    errors.push(`${page.url()}: ${message.text()} (${message.location().url})`)
  })
  return errors
}
