-- AlterTable
ALTER TABLE "Protection" ADD COLUMN     "bootCheck" JSONB;
