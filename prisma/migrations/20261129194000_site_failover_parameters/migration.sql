-- AlterTable
ALTER TABLE "SiteFailover" ADD COLUMN "given" BYTEA;
