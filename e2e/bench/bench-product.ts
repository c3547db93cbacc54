// The product as `npm start` runs it, with as many requests a minute as a bench likes.
import { dismantle, newHome, type Product, startProduct } from '../product.ts'
import { type Api, signUp } from './api-client.ts'
import { withCleanUp } from './clean-up.ts'

/** In a home of its own, which is gone afterwards. */
export async function withProduct(work: (api: Api, product: Product) => Promise<void>): Promise<void> {
  const home = await newHome()
  let product: Product | null = null
  await withCleanUp(
    () => dismantle(home, product),
    async () => {
      product = await startProduct(home, { environment: { UNDERSTUDY_REQUESTS_PER_MINUTE: '1000000' } })
      await work(await signUp(product), product)
    },
  )
}
